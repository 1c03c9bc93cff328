// Starts the page: one client, one React root.
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Client } from './client/client';
import { ClientContext } from './components/hooks';
import { App } from './screens/App';
import './styles/tokens.css';
import './styles/base.css';

const root = document.querySelector('#root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <ClientContext value={new Client(window)}>
        <App />
      </ClientContext>
    </StrictMode>,
  );
}
